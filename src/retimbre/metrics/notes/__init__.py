"""What a musician would say of a note: its pitch, its attack, its decay, its overtones; a module per property."""
