"""One reader for each code system: a published list in, the tables of ontology.concepts out."""
