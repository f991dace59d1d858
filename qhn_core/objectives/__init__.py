"""MLE, ELBO and SELBO: their terms, their estimates from shots, and their gradients."""
