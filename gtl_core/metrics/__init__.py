"""What describes images without deciding anything: how near two sets are, copies, how related source and target are."""
