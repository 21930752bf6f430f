"""The pages for admins at /admin (ADMIN_PAGES): what there is, read through sqladmin, and what an admin may do."""
