"""Services with REST APIs: an in-house one, and fakes of real ones that their own descriptions judge."""
