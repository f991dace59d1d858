"""The service as a whole: schedules, sharing, clusters, crashes and event streams."""
