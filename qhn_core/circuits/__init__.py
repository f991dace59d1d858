"""The distribution q over networks: the ansatz, its samples, its divergences and its gradients."""
