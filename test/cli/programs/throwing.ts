/** A module that throws when it is loaded. */
throw new Error("DATABASE_URL is missing")
