"""Any result as a labelled dataset and as a NetCDF file: fields are walked by their hints, nothing is pickled."""
