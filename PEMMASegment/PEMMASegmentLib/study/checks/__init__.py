"""Whether volumes, whatever files they come from, can be HU and SUVbw of one patient in one place."""
