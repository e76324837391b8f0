"""A study of training settings: many short trainings, each with other settings, to find those that suit the data."""
