"""Coding control: coded diagnoses and procedures held against rules, expectations, rates and prices."""
