"""Networks that are told more than a label: what was heard before, which keys are down, how loud a sound shall be."""
