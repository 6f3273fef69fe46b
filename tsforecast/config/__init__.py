"""From YAML to one frozen Config: ``schema`` says what there is, ``load`` reads it."""
