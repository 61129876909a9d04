"""What mail is to every connector: headers, identity, kinds of mail, text. Knows no server and no CRM."""
