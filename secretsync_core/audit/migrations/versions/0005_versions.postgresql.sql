ALTER TABLE ledger ADD CONSTRAINT source_version_form CHECK (source_version IS NULL OR replace(replace(source_version, '@fields=', '@'), 'all:', '') !~ '[^0-9A-Fa-fTZ@.:+-]' OR substr(source_version, 1, 4) = 'pin:' AND source_version !~ '[^0-9A-Za-z._/+=@:-]') NOT VALID;

ALTER TABLE ledger ADD CONSTRAINT dest_version_form CHECK (dest_version IS NULL OR replace(replace(dest_version, '@fields=', '@'), 'all:', '') !~ '[^0-9A-Fa-fTZ@.:+-]' OR substr(dest_version, 1, 4) = 'pin:' AND dest_version !~ '[^0-9A-Za-z._/+=@:-]') NOT VALID;
