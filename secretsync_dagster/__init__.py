"""SecretSync's Dagster side: compiles SyncJob documents into jobs, schedules and sensors (to come)."""
