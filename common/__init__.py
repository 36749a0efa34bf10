"""What the notebooks share and what is not the lesson: data, drawing, evidence."""
