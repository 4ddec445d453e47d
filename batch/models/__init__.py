"""Demand of every zone in the next 24 hours, and fares: features, models, and predictions as tables.

steps                      `models features`: features → a model where there is none → predictions
calendar, features, *.sql  what is known 24 hours before an hour, and when a trip begins, as tables
training                   rows, time split, baselines, fit and scores of one model
demand, fare               the two models: what they read, how they predict, how sure they are
intervals, scores          predictive intervals of counts and fares; deviance, errors, coverage
registry                   models, scores and versions in MLflow
"""
