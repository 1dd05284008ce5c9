"""What users write to pick and change keys and values: RE2 expressions and sandboxed templates. Pure and bounded."""
