"""From signs to what they indicate: catheters and infusion phlebitis."""
