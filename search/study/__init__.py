"""What to search: the study file, its typed space, its budget and goals, plug-ins and shipped studies."""
