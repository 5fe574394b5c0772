"""What became of a run, for people and for build servers: a text, one HTML page, JUnit XML, from its plain data."""
