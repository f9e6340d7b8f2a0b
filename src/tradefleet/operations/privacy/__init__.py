"""What a user takes along, how they are erased, and how long anything is kept."""
