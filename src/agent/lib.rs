//! The agent: runs operations near the cluster and keeps each as a durable session.
