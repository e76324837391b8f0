"""RetinaJ in a Fiji that stands alone: putting the plugin into its folder, taking it out, and finding out what is wrong."""
