"""What a model looked at while it answered: a heat map over the picture, with the boxes it states."""
