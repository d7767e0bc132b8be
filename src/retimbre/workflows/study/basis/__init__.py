"""What a learned basis is and what it is worth: its functions, its codes, and how few of them make a sound."""
