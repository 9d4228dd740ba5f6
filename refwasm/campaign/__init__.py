"""Campaigns: modules from several sources, judged on engines, what differs in buckets, reduced, on disk."""
