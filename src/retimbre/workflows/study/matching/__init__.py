"""The study `matching`: how well each network of the catalog finds knobs, beside a control that learns nothing."""
