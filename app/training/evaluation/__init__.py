"""How good a recogniser is: error counts, ways of reading, tables, calibration."""
