"""The newsroom and the office: the site where editors work and admins manage."""
