"""Units of measure: UCUM, hospital spellings, conversion by analyte."""
