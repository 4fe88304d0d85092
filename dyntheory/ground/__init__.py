"""What everything stands on: arrays, checks, precision, status, files, storage, memory, devices, schedule."""
