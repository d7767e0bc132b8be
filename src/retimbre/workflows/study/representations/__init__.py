"""The study `representations`: GANs that differ only in what they generate, at equal budgets."""
