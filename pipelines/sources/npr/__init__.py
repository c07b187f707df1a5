"""NPR-melding: the messages of Norwegian hospitals to the Norwegian Patient Registry, as rows of tables."""
