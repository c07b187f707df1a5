"""Scores that wards know: NEWS2, qSOFA, SOFA, Charlson, Elixhauser, hospital frailty."""
