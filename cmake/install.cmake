# filled by install work
