"""What listens: frozen or fitted encoders that turn a clip into one vector."""
