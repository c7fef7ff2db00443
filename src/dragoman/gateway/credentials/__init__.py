"""What providers are asked with: keys out of the store, the master key over them, signatures of the clouds."""
