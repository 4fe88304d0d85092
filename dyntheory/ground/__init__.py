"""What everything stands on: arrays, checks, precision, status, files, checkpoints, memory, devices, schedule."""
