"""Several estimators as one."""
