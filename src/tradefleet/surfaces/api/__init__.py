"""HTTP: health for monitors; the REST interface joins it here."""
