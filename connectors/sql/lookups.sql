-- TLC's data dictionary of 2019; vendor 4 is in the data but not in the dictionary.
insert into vendors (vendor_id, name) values
    (1, 'Creative Mobile Technologies, LLC'),
    (2, 'VeriFone Inc.'),
    (4, 'Not in the data dictionary')
on conflict (vendor_id) do nothing;

insert into payment_types (payment_type, name) values
    (1, 'Credit card'),
    (2, 'Cash'),
    (3, 'No charge'),
    (4, 'Dispute'),
    (5, 'Unknown'),
    (6, 'Voided trip')
on conflict (payment_type) do nothing;
