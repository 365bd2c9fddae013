"""When things run: jobs, schedules, sensors and automation conditions over all stages."""
