"""Whole SyncJobs with AWS on one side or both."""
