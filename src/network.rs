//! Floor 2: sites, links, loss, partitions.
