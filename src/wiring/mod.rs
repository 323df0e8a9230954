//! What `main` needs to build the domains, start a session and open its doors.
