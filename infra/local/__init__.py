"""The pipeline on this machine: environments, the emulator, deployment to it, and the demo."""
