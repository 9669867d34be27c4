"""What files seem to hold, with the evidence for every guess and a question where only people can know."""
