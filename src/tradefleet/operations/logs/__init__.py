"""What is written down of what happens: for people on the screen, for programs in files."""
