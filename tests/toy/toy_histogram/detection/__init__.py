"""A toy modality: histograms, judged by their distance to the nearest normal one. What a new modality has to bring."""
