"""Floor 4: the product's verbs, each a plain function that the doors (command line, Python) call."""
